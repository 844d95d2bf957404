/** A place to drop files on or pick them from a dialog; they stay where they are and are read, in this tab, when they are used. */
import { DropZone, FileTrigger } from 'react-aria-components';
import type { PickedFile } from '../../common.ts';
import { say } from '../../common.ts';
import { sizeOf } from '../../protocol.ts';
import { bytes } from '../format.ts';
import { Action } from './Action.tsx';

interface Entry {
  readonly kind: string;
}
interface FileEntry extends Entry {
  readonly kind: 'file';
  getFile(): Promise<File>;
}
interface FolderEntry extends Entry {
  readonly kind: 'directory';
  readonly name: string;
  getEntries(): AsyncIterable<Entry>;
}

/** Files of dropped entries; those in folders keep their path, whose last folder is the class of a picture. */
async function collect(entries: Iterable<Entry> | AsyncIterable<Entry>, path: string): Promise<PickedFile[]> {
  const out: PickedFile[] = [];
  for await (const entry of entries) {
    if (entry.kind === 'file') {
      const file = await (entry as FileEntry).getFile();
      out.push({ name: path + file.name, bytes: file });
    } else if (entry.kind === 'directory') {
      const folder = entry as FolderEntry;
      out.push(...(await collect(folder.getEntries(), `${path}${folder.name}/`)));
    }
  }
  return out;
}

/** Files of a chosen folder with their paths, of the kinds that are asked for. */
const inFolder = (files: readonly File[], accepts: readonly string[]): PickedFile[] =>
  files
    .filter(({ name }) => accepts.some((ending) => name.toLowerCase().includes(ending)))
    .map((file) => ({ name: file.webkitRelativePath || file.name, bytes: file }));

export function FileDrop(props: {
  readonly label: string;
  readonly hint: string;
  readonly accepts: readonly string[];
  readonly files: readonly PickedFile[];
  readonly onFiles: (files: PickedFile[]) => void;
  readonly onClear: () => void;
}) {
  const { label, hint, accepts, files, onFiles, onClear } = props;
  return (
    <DropZone
      className="drop"
      data-testid="drop"
      aria-label={label}
      onDrop={(event) => void collect(event.items as Iterable<Entry>, '').then(onFiles)}
    >
      <p className="drop-label">{label}</p>
      <FileTrigger
        allowsMultiple
        acceptedFileTypes={accepts.filter((ending) => ending.startsWith('.'))}
        onSelect={(list) => {
          const picked = [...(list ?? [])].map((file) => ({ kind: 'file', getFile: async () => file }));
          void collect(picked, '').then(onFiles);
        }}
      >
        <Action text={say`Choose files`} />
      </FileTrigger>{' '}
      <FileTrigger acceptDirectory onSelect={(list) => onFiles(inFolder([...(list ?? [])], accepts))}>
        <Action text={say`Choose a folder`} />
      </FileTrigger>
      <p className="hint">{hint}</p>
      {files.length > 0 ? (
        <ul className="drop-files" data-testid="dropped">
          {files.slice(0, 6).map((file) => (
            <li key={file.name}>
              <code>{file.name}</code> {bytes(sizeOf(file))}
            </li>
          ))}
          {files.length > 6 ? <li>{say`and ${files.length - 6} more`}</li> : null}
          <li>
            <Action kind="link" icon="cross" text={say`remove`} onPress={onClear} />
          </li>
        </ul>
      ) : null}
    </DropZone>
  );
}
