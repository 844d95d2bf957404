/** The start page: the way through pages and labs. */
import { useEffect } from 'react';
import { say } from '../../../common.ts';
import { hashOf, WAY } from './way.ts';

export function LabsStart({ isUnknown }: { readonly isUnknown: boolean }) {
  useEffect(() => {
    document.title = `${say`Labs`} · Papilio`;
  }, []);
  return (
    <article className="lab" data-testid="labs-start">
      <h1>{say`Labs`}</h1>
      {isUnknown ? (
        <p className="warning" role="alert">{say`There is no lab of that name. These are all there are.`}</p>
      ) : null}
      <p className="lab-what">
        {say`Short lessons on rotations that fine-tune a model. Every number is computed while you look, in this tab, by the code that trains; nothing is uploaded. Begin with the first: each builds on the one before.`}
      </p>
      <ol className="labs-list">
        {WAY.map((entry) => (
          <li key={entry.id}>
            <h2>
              <a href={hashOf(entry)}>{entry.title()}</a>
            </h2>
            <p>{entry.what()}</p>
            <p className="hint">{say`About ${entry.minutes} minutes`}</p>
          </li>
        ))}
      </ol>
      <p>
        <a href="./">{say`Fine-tune a model of your own`}</a>
      </p>
    </article>
  );
}
