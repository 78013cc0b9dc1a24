import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { errnoOf, HaiveError } from '../domain/errors.ts';
import { createKeyPair, keyIdOf, type PublicKey, publicKeyOf } from '../domain/signing/dsse.ts';
import { makeDirs, readFileOrNull, removeFile } from './files/file-port.ts';
import type { Machine } from './machine.ts';

export interface PublisherKey {
  privatePem: string;
  publicKey: PublicKey;
  keyid: string;
}

const LOST =
  'Bring it back from a backup, or move it away: the next publication then makes another key, which machines take after `hv trust add NAME KEYID`.';

/**
 * The publisher's key where one was made; null otherwise.
 * @param lost what to do where there is no key in its file
 * @throws HaiveError CONFIG_INVALID when it is no Ed25519 key
 */
export async function readPublisherKey(m: Machine, lost = LOST): Promise<PublisherKey | null> {
  const bytes = await readFileOrNull(m.paths.publisherKey);
  if (bytes === null) return null;
  const privatePem = bytes.toString('utf8');
  try {
    const publicKey = publicKeyOf(privatePem);
    if (Buffer.from(publicKey, 'base64').length !== 32) throw new Error('not Ed25519');
    return { privatePem, publicKey, keyid: keyIdOf(publicKey) };
  } catch (cause) {
    throw new HaiveError('CONFIG_INVALID', `${m.paths.publisherKey} is no Ed25519 private key`, {
      cause,
      hint: lost,
    });
  }
}

/**
 * The key that signs what is published from this machine, made at first use (mode 0600). Two processes that make it at
 * once end up with the same one.
 * @throws HaiveError CONFIG_INVALID, DISK_FULL, READ_ONLY
 */
export async function publisherKey(m: Machine, lost = LOST): Promise<PublisherKey> {
  const there = await readPublisherKey(m, lost);
  if (there !== null) return there;
  await makeDirs(m.port, m.paths.keys);
  await m.port.chmod(m.paths.keys, 0o700);
  const { privatePem } = createKeyPair();
  const temporary = join(m.paths.keys, `.${process.pid}-${randomBytes(6).toString('hex')}.hv-tmp`);
  await m.port.writeFile(temporary, privatePem, { mode: 0o600, fsync: true });
  try {
    // link fails where another process was faster; rename would replace its key.
    await m.port.link(temporary, m.paths.publisherKey);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno !== undefined && ['EPERM', 'ENOTSUP', 'ENOSYS', 'EOPNOTSUPP'].includes(errno)) {
      await m.port.writeFile(m.paths.publisherKey, privatePem, { mode: 0o600, fsync: true, exclusive: true });
    } else if (errno !== 'EEXIST') throw error;
  } finally {
    await removeFile(m.port, temporary);
  }
  await m.port.fsync(m.paths.keys);
  const made = await readPublisherKey(m, lost);
  if (made === null) throw new HaiveError('IO_ERROR', `${m.paths.publisherKey} vanished after it was made`);
  return made;
}
