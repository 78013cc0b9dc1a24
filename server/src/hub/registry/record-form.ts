import * as z from 'zod';
import { HaiveError } from '../../domain/errors.ts';
import { RECORD_FORMAT, type VersionRecord } from '../../domain/version/record.ts';

/** A version record, as it is signed. */
export const RecordForm = z.object({
  format: z.number().int(),
  name: z.string().max(64),
  version: z.string().max(128),
  digest: z
    .string()
    .regex(/^sha256:[0-9a-f]{64}$/)
    .describe(
      '`sha256:` and the hash of the JSON text, without spaces, of [1, name, version, [[path, sha256, size, 1 if executable, else 0], …]], its files in the order below',
    ),
  files: z
    .array(
      z.object({
        path: z.string().max(1024),
        sha256: z.string().regex(/^[0-9a-f]{64}$/),
        size: z.number().int().min(0),
        executable: z.boolean(),
      }),
    )
    .min(1)
    .describe('all files, .claude-plugin/plugin.json among them, sorted by path in the order of UTF-16 code units'),
  imported: z.boolean().describe('false but where the hub packed it'),
  packedAt: z.iso.datetime(),
});

/**
 * A signed payload as a version record; its digest is not checked here.
 * @throws HaiveError FORMAT_UNSUPPORTED, BODY_INVALID
 */
export function parseRecord(value: unknown): VersionRecord {
  const format = (value as { format?: unknown } | null)?.format;
  if (typeof format === 'number' && format > RECORD_FORMAT) {
    throw new HaiveError(
      'FORMAT_UNSUPPORTED',
      `The version record has format ${format}, this hub knows ${RECORD_FORMAT}`,
    );
  }
  const parsed = RecordForm.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new HaiveError(
    'BODY_INVALID',
    `The version record is malformed at ${issue?.path.join('.')}: ${issue?.message}`,
  );
}
