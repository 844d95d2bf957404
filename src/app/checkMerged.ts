/** Checks a merged file in the page: the trainer answers, onnxruntime answers, and training/parity.ts decides. */
import type { InferenceClient } from '../inference/client.ts';
import type { QuantisedMerge } from '../models/merge.ts';
import type { ParityReport } from '../training/parity.ts';
import type { MergedOf, MergeReport, TrainerApi } from '../training/protocol.ts';

/**
 * @param of whose file it is: the run's, or that of the opened adapters
 * @param inference asked for once for every file, since only an ended worker gives its memory back
 */
export async function checkMerged(
  trainer: Pick<TrainerApi, 'paritySamples' | 'parityFile'>,
  inference: () => Promise<InferenceClient>,
  of: MergedOf,
  { onnx, written, rounds, activations }: Pick<MergeReport, 'onnx' | 'written' | 'rounds' | 'activations'>,
  quantised: QuantisedMerge,
): Promise<ParityReport> {
  const [client, { checkParity }] = await Promise.all([inference(), import('../training/parity.ts')]);
  try {
    return await checkParity<Blob>(
      await trainer.paritySamples(of, rounds),
      {
        merged: onnx,
        rounds,
        activations,
        base: async () => (await trainer.parityFile(of, written, quantised))!,
        moved: (seed) => trainer.parityFile(of, written, quantised, seed),
      },
      async (file) => {
        const session = await client.open(file, { providers: ['wasm'] });
        return { ...session, release: async () => client.end() };
      },
    );
  } finally {
    client.end();
  }
}

/** The name of a merged file, which tells where it was not seen to compute what was trained. */
export const mergedName = (name: string, { verdict }: Pick<ParityReport, 'verdict'>): string =>
  `${name}${verdict === 'passed' ? '' : `.${verdict}`}.onnx`;
