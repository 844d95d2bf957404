/** What a repository offers to fetch: models by precision, splits of data, or the one file of an address. */
import { PRECISIONS, splitsOf, variantsOf } from '../hub/layout.ts';
import { HUB_ADDRESS, shown } from '../hub/names.ts';
import type { HubSource, Listing, UrlSource } from '../hub/types.ts';

/** Something to fetch as a whole: a model at one precision, a split, a file. */
export interface Offer {
  readonly id: string;
  readonly title: string;
  readonly detail: string;
  /** Null until the server says. */
  readonly bytes: number | null;
  /** Bytes that are here. */
  readonly have: number;
  readonly isWhole: boolean;
  readonly source: HubSource | UrlSource;
}

interface OfferPart extends Pick<Offer, 'title' | 'detail' | 'bytes'> {
  /** What a source names. */
  readonly paths: readonly string[];
  /** All that is fetched for it. */
  readonly members: readonly string[];
}

/** Everything that a repository offers, or what has one of the `files` in it. */
export function partsOf(listing: Listing, files?: readonly string[]): OfferPart[] {
  const all =
    listing.kind === 'model'
      ? variantsOf(listing.files).map(
          ({ onnx, part, precision, files: members, bytes }): OfferPart => ({
            title: `${precision} · ${part}`,
            detail: `${PRECISIONS[precision]} · ${onnx.join(' + ')}`,
            bytes,
            paths: onnx,
            members: members.map(({ path }) => path),
          }),
        )
      : splitsOf(listing.files).map(({ config, split, files: members, bytes }): OfferPart => {
          const paths = members.map(({ path }) => path);
          return {
            title: config === '' ? split : `${split} · ${config}`,
            detail: paths.length === 1 ? paths[0]! : `${paths.length} files, ${paths[0]!} …`,
            bytes,
            paths,
            members: paths,
          };
        });
  return files === undefined ? all : all.filter(({ paths }) => files.some((file) => paths.includes(file)));
}

export function offerOf(
  listing: Listing,
  { paths, title, detail, bytes }: OfferPart,
  here: { readonly done: number; readonly isWhole: boolean },
): Offer {
  const { hub, repo, commit } = listing;
  const source: HubSource = {
    kind: 'hub',
    repo,
    revision: commit,
    files: paths,
    ...(hub === HUB_ADDRESS ? {} : { hub }),
  };
  return { id: paths.join(' '), title, detail, bytes, have: here.done, isWhole: here.isWhole, source };
}

export const offerAt = (source: UrlSource): Offer => ({
  id: source.url,
  title: 'The file at this address',
  detail: shown(source.url),
  bytes: null,
  have: 0,
  isWhole: false,
  source,
});
