import type { Subject } from './subject.ts';

/** A pointer is smaller than 1024 bytes (git-lfs, docs/spec.md). */
const LARGEST = 1024;
const POINTER = /^version https:\/\/git-lfs\.github\.com\/spec\/v\d+\n(?:[a-z0-9.-]+ .*\n)*oid sha256:[0-9a-f]{64}\n/;

/** Files that git LFS keeps elsewhere: what lies here says only where. */
export function checkLfsPointers(subject: Subject): void {
  for (const [path, { bytes }] of subject.files) {
    if (bytes.length >= LARGEST || !POINTER.test(bytes.toString('latin1'))) continue;
    const message = 'This is a pointer of git LFS, not the file that it stands for.';
    subject.warn('LFS_POINTER', path, { offset: 0 }, message, 'Fetch the file (`git lfs pull`), or take it out.');
  }
}
