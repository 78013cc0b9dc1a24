import { expect, it } from 'vitest';
import { withoutLogin } from './redact.ts';

it.each([
  ['https://u:p@h/x.git', 'https://h/x.git'],
  ['https://t0ken@h/x.git', 'https://h/x.git'],
  ['ssh://git@h/x.git', 'ssh://git@h/x.git'],
  ['ssh://git:p@h/x.git', 'ssh://git@h/x.git'],
  ['https://u:pa/ss#w?rd@h/x.git', 'https://h/x.git'],
  ['https://h/x.zip?private_token=s3cret&ref=main', 'https://h/x.zip?private_token=[redacted]&ref=main'],
  ['https://h/x.zip?ref=main&access_token=s3cret#sub', 'https://h/x.zip?ref=main&access_token=[redacted]#sub'],
  ['https://h/x?X-Amz-Signature=s3cret&sig=s3cret', 'https://h/x?X-Amz-Signature=[redacted]&sig=[redacted]'],
  ['https://h/x?job-token=s3cret&API_KEY=s3cret', 'https://h/x?job-token=[redacted]&API_KEY=[redacted]'],
])('shows %s as %s', (address, shown) => expect(withoutLogin(address)).toBe(shown));

it.each([
  'https://h:8443/@scope/x.git@0123#plugins/one',
  'https://h/x.git@0123#plugins/one',
  'https://h/x?path=token&ref=a@b&tokens=3',
  'file:///home/me/x@0123',
  'git@h:x/y.git',
])('leaves %s as it is', (address) => expect(withoutLogin(address)).toBe(address));

it('reads a long address in a time that grows with it alone', () => {
  const long = `https://${'a:/?token='.repeat(20_000)}`;
  expect(withoutLogin(long).length).toBeGreaterThan(0);
});
