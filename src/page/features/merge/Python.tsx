/** "Continue in Python": the project of the run, and what cannot carry over, read before it is saved. */
import { Button } from 'react-aria-components';
import { bytes } from '../../../app/format.ts';
import { OfStep } from '../../parts/OfStep.tsx';
import { usePage, useRun } from '../../usePage.ts';

export function Python() {
  const page = usePage();
  const python = useRun((s) => s.python);
  const busy = useRun((s) => s.busy);
  return (
    <section className="block" aria-label="Continue in Python">
      <h3>Outgrow the tab</h3>
      <p className="hint">
        A small project with transformers, peft and accelerate: this run’s model, data, method and settings,
        starting from the adapter trained here, on as many machines as you have.
      </p>
      <p className="shelf-tools">
        <Button className="button" isDisabled={busy !== null} onPress={() => void page.looking.writePython()}>
          Continue in Python
        </Button>
      </p>
      {python === null ? null : (
        <div className="notice-card python-card" role="status">
          <h3>{python.warnings.length > 0 ? 'What cannot carry over' : 'Everything carries over'}</h3>
          {python.warnings.length > 0 ? (
            <ul>
              {python.warnings.map((warning) => (
                <li key={warning}>{warning}</li>
              ))}
            </ul>
          ) : null}
          <details className="advanced">
            <summary>
              {python.files.length} files, {bytes(python.files.reduce((n, file) => n + file.bytes.length, 0))}
            </summary>
            <ul className="python-files">
              {python.files.map((file) => (
                <li key={file.name}>
                  <code>{file.name}</code> {bytes(file.bytes.length)}
                </li>
              ))}
            </ul>
          </details>
          <OfStep step={python.step} />
          <p className="shelf-tools">
            <Button className="button button-strong" onPress={() => void page.looking.savePython()}>
              Save the project
            </Button>
          </p>
        </div>
      )}
    </section>
  );
}
