/** What the room speaks of: repositories and their files, where bytes are kept, and what a model or dataset is named by. Types only. */

export type RepoKind = 'model' | 'dataset';

/** A file of a repository at one commit. */
export interface RepoFile {
  readonly path: string;
  readonly size: number;
  /** SHA-256 of the content, known for large files (LFS), as 64 hex digits. */
  readonly sha256: string | null;
  /** Git's name of the content: SHA-1 of "blob <size>\0" and the content; for large files that of their pointer. */
  readonly oid: string;
}

/** All files of a repository at one commit. */
export interface Listing {
  /** Address of the Hub without a slash at the end. */
  readonly hub: string;
  readonly kind: RepoKind;
  /** owner/name */
  readonly repo: string;
  /** What was asked for: a branch, a tag or a commit. */
  readonly revision: string;
  /** The commit it stood for, 40 hex digits. */
  readonly commit: string;
  /** Whether its licence must be accepted before files can be fetched. */
  readonly isGated: boolean;
  readonly files: readonly RepoFile[];
}

/** A model or dataset of a Hub. What is left out is found: the newest commit of `main`, the usual files. */
export interface HubSource {
  readonly kind: 'hub';
  readonly repo: string;
  /** A commit pins the content; a branch or tag is looked up anew. */
  readonly revision?: string;
  /** Paths in the repository: of a model the .onnx files, whose external data and sidecars are found by themselves. */
  readonly files?: readonly string[];
  /** Another Hub than the usual one. */
  readonly hub?: string;
}

/** A file anywhere on the web; for a model its external data and sidecars are looked for beside it. */
export interface UrlSource {
  readonly kind: 'url';
  readonly url: string;
  /** The store's folder of it, where `url` was kept without a secret that it had. */
  readonly folder?: string;
}

/** A file that is kept, with the path it has in its repository or beside its address. */
export interface CachedFile {
  readonly path: string;
  /** @throws PapilioError 'not-found' when it was freed meanwhile */
  readonly read: () => Promise<Uint8Array>;
}

/** One hit of a search. */
export interface FoundRepo {
  readonly repo: string;
  readonly downloads: number;
  readonly isGated: boolean;
  readonly task: string | null;
}

/** Writes one file from some place on. Bytes written stay, also when it is closed early. */
export interface Appender {
  write(bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

export interface Waiting {
  readonly signal?: AbortSignal | undefined;
  readonly onWait?: () => void;
}

/** Folders of files, one level deep: the browser's private file system, or a folder of the machine. */
export interface FileStore {
  folders(): Promise<readonly string[]>;
  /** Sizes by name; empty when there is no such folder. */
  list(folder: string): Promise<ReadonlyMap<string, number>>;
  read(folder: string, name: string): Promise<Uint8Array<ArrayBuffer> | null>;
  /** The content piece by piece. */
  stream(folder: string, name: string): Promise<AsyncIterable<Uint8Array> | null>;
  /** Replaces a small file as a whole. */
  write(folder: string, name: string, bytes: Uint8Array): Promise<void>;
  /**
   * Opens a file for writing from `at` on, made when missing; what lies beyond `at` is cut off.
   * @throws PapilioError 'quota' when there is no room, 'bad-argument' when something else is writing it
   */
  append(folder: string, name: string, at: number): Promise<Appender>;
  /** Removes a file, or the folder with all of them. */
  remove(folder: string, name?: string): Promise<void>;
  /**
   * Runs a task that writes a file: whoever else would write it, in this process or another, waits until that has ended.
   * @param waiting `onWait` is told, again and again, while somebody else has the file
   * @throws what the task throws, and 'aborted' by `signal` while it waits
   */
  own<T>(folder: string, name: string, task: () => Promise<T>, waiting?: Waiting): Promise<T>;
  /** Bytes that may still be written; null when nobody says. */
  room(): Promise<number | null>;
}

/** Where things come from and go to. */
export interface HubHost {
  readonly store: FileStore;
  readonly fetch: typeof fetch;
  /** Address of the Hub without a slash at the end. */
  readonly hub: string;
  /** The user's own access token. Lives here and in headers, never in a file or an address. */
  readonly token?: string;
  /** Whether no browser's rules on other origins apply (CORS): then If-Range is sent, for which few servers give pages leave. */
  readonly isOutsideBrowser?: boolean;
  /** Pauses before a broken download is tried again, milliseconds; as many tries as entries. */
  readonly retryDelaysMs?: readonly number[];
  /** How long a server that says nothing is waited for, milliseconds. */
  readonly silenceMs?: number;
}

export interface Transfer {
  readonly signal?: AbortSignal;
  /** Bytes on the disk so far of all that was asked for, and which file is at work. */
  readonly onBytes?: (done: number, total: number, what: string) => void;
}
