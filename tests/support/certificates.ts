import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/**
 * Makes an authority (`NAME-ca.pem`) and a certificate that it gave to 127.0.0.1 and hub.test (`NAME.pem`, `NAME.key`) in `folder`; `NAME-chain.pem` holds both,
 * as servers send them.
 */
export async function certify(folder: string, name: string): Promise<void> {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
  const subject = ['-subj', `/CN=${name} authority`];
  openssl('req', '-x509', ...EC, '-days', '2', ...subject, '-keyout', `${name}-ca.key`, '-out', `${name}-ca.pem`);
  openssl('req', '-new', ...EC, '-subj', '/CN=127.0.0.1', '-keyout', `${name}.key`, '-out', `${name}.csr`);
  await writeFile(join(folder, `${name}.ext`), 'subjectAltName=IP:127.0.0.1,DNS:hub.test\n');
  const by = ['-CA', `${name}-ca.pem`, '-CAkey', `${name}-ca.key`, '-CAcreateserial', '-days', '2'];
  openssl('x509', '-req', '-in', `${name}.csr`, ...by, '-extfile', `${name}.ext`, '-out', `${name}.pem`);
  const chain = await Promise.all(
    [`${name}.pem`, `${name}-ca.pem`].map((file) => readFile(join(folder, file), 'utf8')),
  );
  await writeFile(join(folder, `${name}-chain.pem`), chain.join(''));
}
