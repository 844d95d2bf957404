/**
 * The list of licences is of the packages that the page is built from now. Seen to fail with: an import of a package that is not in the list, another
 * version in the lock.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { importedPackages, licenceList, packagesOfPage } from '../../tools/licences/licences.mjs';

const written = readFileSync('public/licences.txt', 'utf8');

describe('public/licences.txt', () => {
  it('is what `npm run licences` writes', () => {
    expect(written).toBe(licenceList());
  });

  it('has what the page imports, and what that needs, each under a licence that allows it', () => {
    const imported = importedPackages();
    for (const name of ['react', 'onnxruntime-web', 'katex', 'wesl', 'workbox-precaching'])
      expect(imported).toContain(name);
    expect(imported).not.toContain('puppeteer-core');
    const packages = packagesOfPage();
    for (const name of imported) expect(packages.map((one) => one.name)).toContain(name);
    const open = /^\(?(MIT|ISC|0BSD|Apache-2\.0|BSD-[23]-Clause)( AND BSD-3-Clause\))?$/;
    expect(packages.filter(({ licence }) => !open.test(licence))).toEqual([]);
  });

  it('names the fonts of formulas, which come under a licence of their own', () => {
    expect(written).toContain('SIL OPEN FONT LICENSE Version 1.1');
    expect(written).toContain('Reserved Font Names KaTeX_*');
  });
});
