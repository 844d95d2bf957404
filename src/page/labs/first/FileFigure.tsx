/** The merged file: what it is, what of it changed, and whether onnxruntime computes with it what the run computed. */
import { say } from '../../../common.ts';
import { saveFile } from '../../exports.ts';
import { mergedName } from '../../features/merge/merging.ts';
import { bytes, power, whole } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { rich } from '../../parts/rich.ts';
import { Sentences } from '../../parts/Sentences.tsx';
import { LabFigure } from '../LabFigure.tsx';
import { Term } from '../textbook/Glossary.tsx';
import type { FirstFile } from './runs.ts';

const dimsText = (dims: readonly (number | string | null)[] | null): string =>
  dims === null ? '' : dims.map((dim) => dim ?? '?').join(' × ');

export function FileFigure({ file: { merged, parity } }: { readonly file: FirstFile }) {
  const { onnx, changedInitializers, inputs, outputs } = merged;
  const isSame = parity?.verdict === 'passed';
  const title = say`The merged file`;
  const facts: [string, string][] = [
    [say`Size`, bytes(onnx.size)],
    [say`Weights that changed`, whole(changedInitializers.length)],
    ...inputs.map(({ name, dims }): [string, string] => [say`Input ${name}`, dimsText(dims)]),
    ...outputs.map(({ name, dims }): [string, string] => [say`Output ${name}`, dimsText(dims)]),
    ...(parity === null
      ? []
      : [[say`Largest relative difference`, power(parity.maxRel)] as [string, string]]),
  ];
  return (
    <LabFigure
      id="file"
      title={title}
      isDone={parity !== null}
      sentence={
        <Sentences>
          {say`One ONNX file of ${bytes(onnx.size)}: ${changedInitializers.length} of its weights have other numbers than before, and no adapter is left to carry along.`}
          {parity === null
            ? say`onnxruntime is running it now …`
            : isSame
              ? say`onnxruntime gives with it what the run gave, to a relative difference of ${power(parity.maxRel)}.`
              : say`onnxruntime does not give with it what the run gave: the relative difference is ${power(parity.maxRel)}.`}
        </Sentences>
      }
      how={rich`How each number was got: the file is written in this tab and read back; ${<Term of="onnxruntime" />} and the trainer answer the same held-out letters, and the difference is the largest between two scores over the largest score.`}
      table={{ head: [say`Of the file`, say`Value`], rows: facts }}
    >
      {parity === null ? null : (
        <p className="row">
          <Action
            icon="download"
            text={say`Save the file`}
            onPress={() => saveFile(mergedName('my-first', parity), onnx)}
          />
        </p>
      )}
    </LabFigure>
  );
}
