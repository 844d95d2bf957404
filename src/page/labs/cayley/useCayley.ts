/** The rotation of what is set now, from the labs' worker. */
import type { CayleyAnswer, DeviceReport } from '../../../labs.ts';
import { labWorker } from '../labWorker.ts';
import { useAnswer } from '../textbook/useAnswer.ts';

interface Block {
  readonly b: number;
  readonly skew: readonly number[];
}

interface Rotation {
  readonly answer: CayleyAnswer;
  readonly device: DeviceReport;
}

export type Turned = Block & Rotation;

async function askCayley({ b, skew }: Block): Promise<Rotation> {
  const worker = labWorker();
  const device = await worker.device();
  return { device, answer: await worker.cayley(b, skew) };
}

export const useCayley = (b: number, skew: readonly number[]) =>
  useAnswer<Block, Rotation>({ b, skew }, askCayley);
