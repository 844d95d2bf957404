/** A lesson from a file: it is read, held against the schema, and opened at its place. */
import { useState } from 'react';
import { FileTrigger } from 'react-aria-components';
import { errorReport, say } from '../../common.ts';
import { Action } from '../parts/Action.tsx';
import { addressOf, readLessonFile } from './lessonFile.ts';

export function OpenLesson() {
  const [problem, setProblem] = useState<string | null>(null);
  const open = async (file: File | undefined) => {
    if (file === undefined) return;
    try {
      const address = await addressOf(await readLessonFile({ name: file.name, bytes: file }));
      setProblem(null);
      location.assign(address);
    } catch (error) {
      setProblem(errorReport(error).message);
    }
  };
  return (
    <>
      <FileTrigger acceptedFileTypes={['.json']} onSelect={(files) => void open(files?.[0])}>
        <Action text={say`Open a lesson from a file`} />
      </FileTrigger>
      {problem === null ? null : (
        <span className="error-text" role="alert" data-testid="lesson-file-problem">
          {problem}
        </span>
      )}
    </>
  );
}
