/** Files as the page hands them on: handles of files on the disk, which cost no memory until they are read where they are used. */
import type { InputFile, PickedFile } from '../lib/bytes.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';

export const sizeOf = ({ bytes }: PickedFile): number => (bytes instanceof Blob ? bytes.size : bytes.length);

/** @throws PapilioError 'not-found' when a file is no longer what was chosen */
export const readFiles = (files: readonly PickedFile[]): Promise<InputFile[]> =>
  Promise.all(
    files.map(async ({ name, bytes }) => {
      if (!(bytes instanceof Blob)) return { name, bytes };
      try {
        return { name, bytes: new Uint8Array(await bytes.arrayBuffer()) };
      } catch (cause) {
        return fail(
          'not-found',
          say`${name} could not be read (${(cause as Error).message}); it may have been changed or moved since it was chosen. Choose it again.`,
          { name },
        );
      }
    }),
  );
