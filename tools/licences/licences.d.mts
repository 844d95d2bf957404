interface Part {
  readonly place: string;
  readonly name: string;
  readonly version: string;
  readonly licence: string;
}
export function importedPackages(root?: string): string[];
export function packagesOfPage(root?: string): Part[];
export function licenceList(root?: string): string;
