/** What came of a run: how many cells are wrong at each size, or why there is nothing to compare, with the way to the line. */
import type { ReactNode } from 'react';
import { say } from '../../../common.ts';
import {
  fileName,
  type KernelName,
  type ReaderPlace,
  type ShaderAnswer,
  type ShaderKernel,
} from '../../../labs.ts';
import { whole } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { Icon } from '../../parts/Icon.tsx';
import { Sentences } from '../../parts/Sentences.tsx';
import { sizeTitle } from './words.ts';

interface VerdictProps {
  readonly name: KernelName;
  readonly kernel: ShaderKernel;
  readonly answer: ShaderAnswer;
  readonly goTo: (place: ReaderPlace) => void;
}

export function Verdict({ name, kernel, answer, goTo }: VerdictProps) {
  const isRight = answer.kind === 'checked' && answer.cases.every(({ wrong }) => wrong.length === 0);
  return (
    <div
      role="status"
      className={isRight ? 'verdict is-right' : 'verdict is-wrong'}
      data-testid="shader-verdict"
      data-kind={answer.kind}
    >
      <Icon name={isRight ? 'check' : 'cross'} />
      <div>{sentence({ name, kernel, answer, goTo })}</div>
    </div>
  );
}

function sentence({ name, kernel, answer, goTo }: VerdictProps): ReactNode {
  switch (answer.kind) {
    case 'checked': {
      const cells = answer.cases.reduce((sum, { found }) => sum + found.length, 0);
      const wrong = answer.cases.reduce((sum, one) => sum + one.wrong.length, 0);
      return (
        <>
          <p>
            {wrong === 0
              ? say`All ${whole(cells)} cells of the three sizes are right.`
              : say`Wrong cells: ${whole(wrong)} of ${whole(cells)}.`}
          </p>
          {wrong === 0 ? null : (
            <ul>
              {answer.cases.map((one, i) => {
                const title = sizeTitle(name, kernel.cases[i]!.sizes);
                return (
                  <li key={title}>{say`${title}: wrong are ${one.wrong.length} of ${one.found.length}`}</li>
                );
              })}
            </ul>
          )}
        </>
      );
    }
    case 'compile':
      return (
        <>
          <p>{say`It does not compile. In the compiler’s words:`}</p>
          <ul>
            {answer.messages.map(({ place, text }, i) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: the list of one answer does not change.
              <li key={i}>
                <Place place={place} goTo={goTo} /> <code>{text}</code>
              </li>
            ))}
          </ul>
        </>
      );
    case 'budget':
      return (
        <p>
          <Sentences>
            {say`A loop went round more than ${whole(answer.most)} times and was left: does it end?`}
            <Place place={answer.place} goTo={goTo} />
          </Sentences>
        </p>
      );
    case 'refused':
      return (
        <p>
          <Sentences>
            {say`It was not run.`}
            {answer.reason}
          </Sentences>
        </p>
      );
    case 'lost':
      return (
        <p>
          <Sentences>
            {answer.reason}
            {say`The next run opens another device.`}
          </Sentences>
        </p>
      );
  }
}

function Place({ place, goTo }: { readonly place: ReaderPlace | null } & Pick<VerdictProps, 'goTo'>) {
  if (place === null) return null;
  return (
    <Action
      kind="link"
      text={say`Line ${place.line} of ${fileName(place.path)}`}
      onPress={() => goTo(place)}
    />
  );
}
