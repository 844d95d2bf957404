/** The start page: for whom this is, how long it takes, what one will know, and the way through pages and labs. */
import { useEffect } from 'react';
import { say } from '../../../common.ts';
import { later } from '../../parts/later.tsx';
import { rich } from '../../parts/rich.ts';
import { worksOf } from '../works.ts';
import { Term } from './Glossary.tsx';
import { hashOf, WAY } from './way.ts';

const minutesOf = (among: typeof WAY): number => among.reduce((sum, { minutes }) => sum + minutes, 0);
const Machine = later('Machine', () => import('../../lessons/Machine.tsx'));
const OpenLesson = later('OpenLesson', () => import('../../lessons/OpenLesson.tsx'));

export function LabsStart({ isUnknown }: { readonly isUnknown: boolean }) {
  useEffect(() => {
    document.title = `${say`Labs`} · Papilio`;
  }, []);
  const facts = [
    [
      say`For whom`,
      say`You know what a matrix is, and that training moves numbers down a gradient. Everything else is built up here, and a glossary has a sentence for each term that the pages mark.`,
    ],
    [
      say`How long`,
      say`About ${minutesOf(WAY)} minutes for all of it, ${minutesOf(WAY.filter(({ isPage }) => isPage))} for the pages alone. Stop anywhere: an address holds what you have set.`,
    ],
    [
      say`What you will know`,
      say`What the angles between neurons are, and what leaves them as they are. What blocks save, and what butterflies give back. What two thin matrices can change, and what α does. How a few waves describe a change of thousands of weights. What each of these costs for a layer of the size that you have.`,
    ],
  ] as const;
  return (
    <article className="lab" data-testid="labs-start">
      <h1>{say`How OFT, BOFT, LoRA and FourierFT work`}</h1>
      {isUnknown ? (
        <p
          className="warning"
          role="alert"
        >{say`There is no lab or page of that name. These are all there are.`}</p>
      ) : null}
      <p className="lab-what">
        {rich`Four ways to fine-tune a large model by training few numbers. ${<Term of="OFT" />}, orthogonal fine-tuning, turns a weight by a rotation of small blocks; ${<Term of="BOFT" />}, its butterfly form, by a product of such rotations. ${<Term of="LoRA" />} adds a product of two thin matrices to it, ${<Term of="FourierFT" />} a sum of a few waves.`}
      </p>
      <p>
        {say`Pages that build each idea in five steps, and labs to try it out. What the methods do is computed in this tab while you look, by the code that trains, and every figure says how its numbers were got; nothing is uploaded.`}
      </p>
      <dl className="labs-facts">
        {facts.map(([name, fact]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{fact}</dd>
          </div>
        ))}
      </dl>
      <h2>{say`The way through`}</h2>
      <ol className="labs-list">
        {WAY.map((entry) => (
          <li key={entry.id}>
            <h3>
              <a href={hashOf(entry)}>{entry.title()}</a>
            </h3>
            <p>{entry.what()}</p>
            <p className="hint">
              {entry.isPage
                ? say`Page, about ${entry.minutes} minutes`
                : say`Lab, about ${entry.minutes} minutes`}
            </p>
          </li>
        ))}
      </ol>
      <p>
        <a href="./">{say`Fine-tune a model of your own`}</a>
      </p>
      <h2 className="labs-teachers">{say`For teachers`}</h2>
      <p>
        {say`Every lab and page, and the page that trains, can be made a lesson: a link with your words, hints and a question. The form is at its end, under “Make a lesson of this”.`}
      </p>
      <Machine works={worksOf(WAY)} />
      <p className="row">
        <OpenLesson />
      </p>
    </article>
  );
}
