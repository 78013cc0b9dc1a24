import { ZipFile } from 'yazl';
import type { SourceFile } from '../../domain/version/package.ts';

const WHEN = new Date('2000-01-01T00:00:00Z');

/** A zip of a plugin's files, the same bytes for the same files. */
export async function zipFiles(files: readonly SourceFile[]): Promise<Buffer> {
  const zip = new ZipFile();
  for (const { path, bytes, executable } of files)
    zip.addBuffer(bytes, path, { mtime: WHEN, mode: executable ? 0o100755 : 0o100644 });
  zip.end();
  const chunks: Buffer[] = [];
  for await (const chunk of zip.outputStream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
