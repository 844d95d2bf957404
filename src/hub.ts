/** `papilio/hub`: names, addresses and layouts of models and datasets on a Hub, and the guard of a store of their files; fetches nothing. */
export { filesOf, nameBeside, precisions, splitsOf, variantsOf } from './hub/layout.ts';
export { HUB_ADDRESS, hubAddress, keptSource, nameOf, pageAddress, parseSource, shown } from './hub/names.ts';
export { aborted } from './hub/refusals.ts';
export { checkedStore } from './hub/store.ts';
export type {
  FileStore,
  FoundRepo,
  HubHost,
  HubSource,
  Listing,
  RepoKind,
  UrlSource,
  Waiting,
} from './hub/types.ts';
