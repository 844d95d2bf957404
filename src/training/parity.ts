/** Trainer against onnxruntime on the same inputs: the check that a merged file says what the trainer says. */
import { completeFeeds, type FeedNames } from '../inference/feeds.ts';
import { type Parity, parity } from '../inference/parity.ts';
import type { OrtSession } from '../inference/session.ts';
import type { FeedTensor } from '../inference/tensor.ts';
import type { FullBatch } from './batchPlan.ts';
import type { Session } from './session.ts';

export interface ParitySample {
  readonly inputs: Readonly<Record<string, FeedTensor>>;
  /** Name of the compared output. */
  readonly output: string;
  readonly logits: Float32Array;
  /** Inputs that the file calls otherwise. */
  readonly names: FeedNames;
}

/**
 * A held-out batch with the trainer's adapted logits. Every position counts, padded ones too: a decoder is fed a full mask, since what comes
 * after a text is nothing to it in training.
 */
export async function paritySample(session: Session): Promise<ParitySample> {
  const { batches, dataset } = session;
  const first = batches.load('held', batches.held(0)[0]!);
  const mask = first.inputs.attention_mask;
  const batch: FullBatch =
    (dataset.kind === 'text' || dataset.kind === 'instruction') && mask
      ? {
          ...first,
          inputs: {
            ...first.inputs,
            attention_mask: {
              dtype: 'int32',
              shape: mask.shape,
              data: new Int32Array(mask.data.length).fill(1),
            },
          },
        }
      : first;
  const inputs = Object.fromEntries(
    Object.entries(batch.inputs).map(([name, t]): [string, FeedTensor] => [
      name,
      { dtype: t.dtype, dims: t.shape, data: t.data },
    ]),
  );
  const { output, feeds: names } = session.model;
  return { inputs, output, names, logits: await session.logits('adapted', batch) };
}

export async function checkParity(sample: ParitySample, ort: OrtSession): Promise<Parity> {
  const feeds = completeFeeds(ort.inputs, sample.inputs, undefined, sample.names);
  const outputs = await ort.run(feeds, [sample.output]);
  return parity(sample.logits, outputs[sample.output]!.data);
}
