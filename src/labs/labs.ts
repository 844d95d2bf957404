/** {@link LabApi} on the engine that suits the machine: what the labs' worker serves. */
import { fail } from '../lib/errors.ts';
import type { Backend } from '../training/backend.ts';
import { createCayley } from './cayley.ts';
import { costs } from './costs.ts';
import { type Fit, type FitLook, openFit } from './fit.ts';
import { type FitRequest, type LabApi, STARTS } from './protocol.ts';
import { createRuns } from './runs.ts';
import { targetOf } from './targets.ts';
import { createTurns } from './turned.ts';

interface OpenFit {
  readonly fit: Fit;
  readonly target: readonly number[];
  look: FitLook | null;
}

/** @param open asked for at the first call; what fails is tried again at the next */
export function createLabs(open: () => Promise<Backend>): LabApi {
  let opening: Promise<Backend> | undefined;
  const backend = (): Promise<Backend> => {
    opening ??= open();
    opening.catch(() => {
      opening = undefined;
    });
    return opening;
  };
  const runs = createRuns(backend);
  let current: OpenFit | null = null;
  let last: Promise<unknown> = Promise.resolve();
  /** Calls about fits one after the other: none sees a fit that another is opening or closing. */
  const inTurn = <T>(call: () => Promise<T>): Promise<T> => {
    const answer = last.then(call);
    last = answer.catch(() => {});
    return answer;
  };
  return {
    device: async () => (await backend()).info,
    cayley: createCayley(backend),
    turn: createTurns(runs),
    costs,
    openFit: (request) =>
      inTurn(async () => {
        const before = current;
        current = null;
        await before?.fit.close();
        current = { ...(await fitOf(await backend(), request)), look: null };
      }),
    advance: (steps) =>
      inTurn(async () => {
        const fit = current ?? fail('bad-argument', 'No fit is open.');
        const look = await fit.fit.advance(steps);
        fit.look = look;
        return { ...look, best: look.errors.map((errors) => Math.min(...errors)) };
      }),
    fitted: (shape) =>
      inTurn(async () => {
        const { fit, target, look } = current ?? fail('bad-argument', 'No fit is open.');
        const errors = look?.errors[shape] ?? fail('bad-argument', 'The fit has not begun.');
        const start = errors.indexOf(Math.min(...errors));
        const size = target.length;
        return { target, fitted: [...fit.products(shape).subarray(start * size, (start + 1) * size)] };
      }),
  };
}

async function fitOf(backend: Backend, { target, d, seed, shapes, steps, starts = STARTS }: FitRequest) {
  const wanted = targetOf(target, d, seed);
  const targets = new Float32Array(starts * wanted.length);
  for (let start = 0; start < starts; start++) targets.set(wanted, start * wanted.length);
  return { fit: await openFit(backend, { d, shapes, targets, seed }, steps), target: [...wanted] };
}
