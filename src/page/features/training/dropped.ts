/** Files that are dropped beside every box: a checkpoint is gone on from, and the run before it can be taken back; nothing takes the place of the page. */
import { say } from '../../../common.ts';
import type { Page } from '../../page.ts';

type Dropped = Pick<DragEvent, 'type' | 'defaultPrevented' | 'dataTransfer' | 'preventDefault'>;

/** For `dragover` and `drop` at the window. Until it is dropped, no file says its name. */
export function takeDropped(page: Pick<Page, 'controller' | 'ui'>, event: Dropped): void {
  const { dataTransfer } = event;
  if (event.defaultPrevented || !dataTransfer?.types.includes('Files')) return;
  event.preventDefault();
  if (event.type === 'dragover') {
    dataTransfer.dropEffect = dataTransfer.items.length === 1 ? 'copy' : 'none';
    return;
  }
  const [file, ...others] = dataTransfer.files;
  if (file === undefined) return;
  if (others.length === 0 && file.name.toLowerCase().endsWith('.safetensors'))
    void page.controller.resumeFile({ name: file.name, bytes: file });
  else
    page.ui.setState({
      notice: say`Only a checkpoint (.safetensors) can be dropped here. Models have their box under Model, data under Data, adapters under Adapters.`,
    });
}
