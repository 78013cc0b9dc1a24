import { HaiveError } from '../domain/errors.ts';

/** What the file system says of a file of the hub as DISK_FULL, READ_ONLY or IO_ERROR; anything else comes back as it is. */
export function fileError(thrown: unknown, file: string): unknown {
  const code = (thrown as { code?: string }).code;
  if (thrown instanceof HaiveError || typeof code !== 'string') return thrown;
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new HaiveError('DISK_FULL', `No space for ${file}`, { cause: thrown });
  if (code === 'EROFS' || code === 'EACCES' || code === 'EPERM')
    return new HaiveError('READ_ONLY', `${file} cannot be written (${code})`, { cause: thrown });
  if (/^E[A-Z]+$/.test(code))
    return new HaiveError('IO_ERROR', `${file} cannot be written (${code})`, { cause: thrown });
  return thrown;
}
