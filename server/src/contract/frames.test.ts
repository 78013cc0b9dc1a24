import { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import { decodeFrames, encodeFrame, endFrame, type Frame } from './frames.ts';
import { pack, unpack } from './parcel.ts';

const read = async (...parts: (Buffer | string)[]): Promise<Frame[]> => {
  const frames: Frame[] = [];
  for await (const frame of decodeFrames(Readable.from(parts.map((part) => Buffer.from(part))), 1000))
    frames.push(frame);
  return frames;
};

it('gives a delta a head of a few bytes', async () => {
  const frame = encodeFrame({ t: 'delta', of: 12, from: 7, n: 0 }, Buffer.from('abc'));
  expect(frame.toString()).toBe('d12,7,3\nabc');
  expect(await read(frame, endFrame())).toEqual([
    { header: { t: 'delta', of: 12, from: 7, n: 3 }, bytes: Buffer.from('abc') },
  ]);
});
it.each([
  'd1,2\nabc',
  'd-1,2,3\nabc',
  'd1,2,1e1\nabc',
  'd1,,3\nabc',
  'delta\nabc',
  'd1,2,3 \nabc',
  '{"t":"delta","n":3}\nabc',
])('takes no other head of a delta: %s', async (text) => {
  await expect(read(text, endFrame())).rejects.toMatchObject({ code: 'BODY_INVALID' });
});
it.each([
  'null',
  '[]',
  '7',
  '"end"',
  '{"t":"end","n":0,"x":null}',
  '{"t":"blob","n":1,"enc":"br","sha256":{"toString":1,"valueOf":1}}',
  `{"t":"record","n":1,"digest":${'['.repeat(1500)}${']'.repeat(1500)}}`,
])('takes no other head: %.40s', async (text) => {
  await expect(read(`${text}\n`, endFrame())).rejects.toMatchObject({ code: 'BODY_INVALID' });
});
it('holds a delta to the size of a frame', async () => {
  await expect(read('d1,2,1001\n', endFrame())).rejects.toMatchObject({ code: 'BODY_TOO_LARGE' });
});

const between = { hub: 'h', machine: 'm', etag: '"e"' };
it('takes packed messages of its own version only', () => {
  const packed = pack(Buffer.from('{"type":"report"}'), between);
  expect(unpack(packed, between).toString()).toBe('{"type":"report"}');
  for (const other of [Buffer.concat([Buffer.of(2), packed.subarray(1)]), packed.subarray(1), Buffer.alloc(0)])
    expect(() => unpack(other, between)).toThrow(expect.objectContaining({ code: 'BODY_INVALID' }));
});
