/** What runs at what speed on this machine, for whoever prepares a class: the engine that computes, and, when asked, how long runs take, timed here. */
import { useEffect, useRef, useState } from 'react';
import { errorReport, say } from '../../common.ts';
import { ENGINE_TITLES, type EngineName } from '../../protocol.ts';
import { roughly } from '../format.ts';
import { Action } from '../parts/Action.tsx';
import { Waiting } from '../parts/Waiting.tsx';
import { detectGpu, type GpuSupport } from '../webgpu.ts';
import './lessons.css';

/** Something that runs. */
export interface Work {
  readonly id: string;
  readonly title: string;
  /** Seconds that it takes here with an engine, found by timing parts of it. */
  readonly seconds: (engine: EngineName) => Promise<number>;
}

type Found = Readonly<Record<string, string>>;

const placeOf = (work: Work, engine: EngineName): string => `${work.id} ${engine}`;

/** A GPU is named beside what there is without it: not every machine of a class has one. */
const enginesOf = (gpu: GpuSupport): readonly EngineName[] =>
  gpu.state === 'ready' && !gpu.isSoftware ? ['webgpu', 'onnxruntime'] : ['onnxruntime'];

function engineText(gpu: GpuSupport | null): string {
  if (gpu === null) return say`Looking for what computes here …`;
  const threads = crossOriginIsolated ? navigator.hardwareConcurrency : 1;
  return gpu.state === 'ready' && !gpu.isSoftware
    ? say`On this machine WebGPU computes, on ${gpu.name}. Where there is no GPU, onnxruntime computes on the processor (threads here: ${threads}).`
    : say`On this machine onnxruntime computes on the processor (threads: ${threads}): the browser gives no GPU.`;
}

export function Machine({ works }: { readonly works: readonly Work[] }) {
  const [gpu, setGpu] = useState<GpuSupport | null>(null);
  const [found, setFound] = useState<Found>({});
  const [isBusy, setBusy] = useState(false);
  const isGone = useRef(false);
  useEffect(() => {
    isGone.current = false;
    void detectGpu(navigator, isSecureContext).then((now) => {
      if (!isGone.current) setGpu(now);
    });
    return () => {
      isGone.current = true;
    };
  }, []);
  const engines = gpu === null ? [] : enginesOf(gpu);
  const measure = async () => {
    setBusy(true);
    setFound({});
    // One after the other: what runs beside it would be timed with it.
    for (const work of works)
      for (const engine of engines) {
        if (isGone.current) return;
        const text = await work.seconds(engine).then(roughly, (error: unknown) => errorReport(error).message);
        setFound((before) => ({ ...before, [placeOf(work, engine)]: text }));
      }
    setBusy(false);
  };
  return (
    <section
      className="lesson-machine"
      aria-label={say`This machine`}
      aria-busy={isBusy}
      data-testid="machine-speed"
    >
      <p className="hint">{engineText(gpu)}</p>
      {works.length === 0 ? null : (
        <p>
          <Action
            text={
              isBusy ? <Waiting what={say`Measuring`} news={found} /> : say`Measure how long it takes here`
            }
            isDisabled={isBusy || gpu === null}
            onPress={() => void measure()}
          />
        </p>
      )}
      {Object.keys(found).length === 0 ? null : <Times {...{ works, engines, found }} />}
      <p className="hint">
        {say`A machine that is busy with something else takes longer than this says. Where it was busy while it was measured, the times here are too long. Students’ machines differ: on each of them “Measure how long it takes here”, on the start page of the labs, tells its own times. One without a GPU trains on its processor; the shader lab alone needs WebGPU.`}
      </p>
    </section>
  );
}

function Times(props: {
  readonly works: readonly Work[];
  readonly engines: readonly EngineName[];
  readonly found: Found;
}) {
  const { works, engines, found } = props;
  return (
    <>
      <div className="lesson-holds">
        <table data-testid="machine-times">
          <thead>
            <tr>
              <th scope="col">{say`Run`}</th>
              {engines.map((engine) => (
                <th key={engine} scope="col">
                  {ENGINE_TITLES[engine]}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {works.map((work) => (
              <tr key={work.id}>
                <th scope="row">{work.title}</th>
                {engines.map((engine) => (
                  <td key={engine}>{found[placeOf(work, engine)] ?? '…'}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="hint">
        {say`How each number was got: a step of the run, or parts of one, are timed on this machine with the engine of the column, and counted as often as the run has steps. Scoring is not timed: a batch that is scored counts as a third of a step. Opening it and drawing come on top. They hold for a machine as busy as it was while it was timed: where other programs share the processor, a run takes longer in proportion. Of the shader lab all of a press of Run is timed.`}
      </p>
    </>
  );
}
