import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { timeLimit } from '../../domain/time-limit.ts';
import { type Embedder, failed } from './embedder.ts';
import type { OnnxAnswer, OnnxRequest } from './onnx-worker.ts';

export interface OnnxOptions {
  /** Folder of the model: tokenizer.json and (onnx/)model.onnx, as Hugging Face lays them out. */
  folder: string;
  /** Folder of the package onnxruntime-node or onnxruntime-web; what is installed beside the hub when absent. */
  runtime?: string | undefined;
  /** File of the thread; the one that is built beside the hub when absent. */
  thread?: string | URL;
}

/** The documents between two questions: one takes some ten ms. */
const BATCH = 4;
const RUNTIMES = ['onnxruntime-node', 'onnxruntime-web'];

/**
 * A sentence encoder from a folder on this computer, in a thread of its own. The runtime is not among the hub's
 * dependencies, since it weighs more than all of them: whoever wants it installs it (docs/configuration.md).
 */
export function onnxEmbedder({ folder, runtime, thread }: OnnxOptions): Embedder {
  let id = `onnx:${folder}`;
  let calls = 0;
  let worker: Worker | undefined;
  const waiting = new Map<number, { resolve(vectors: Float32Array[]): void; reject(error: Error): void }>();

  const gone = (of: Worker, why: string): void => {
    if (worker !== of) return;
    worker = undefined;
    for (const { reject } of waiting.values()) reject(failed(why));
    waiting.clear();
  };
  const start = (): Worker => {
    const file = thread ?? new URL('./embedder.mjs', import.meta.url);
    const started = new Worker(file, { workerData: { folder, runtime: runtime ?? installedRuntime() } });
    // It must not keep a hub alive that has ended.
    started.unref();
    started.on('message', (answer: OnnxAnswer) => {
      const call = waiting.get(answer.call);
      waiting.delete(answer.call);
      if ('error' in answer) return call?.reject(failed(answer.error));
      id = answer.id;
      call?.resolve(answer.vectors);
    });
    started.on('error', (error) => gone(started, `its thread failed: ${error.message}`));
    started.on('exit', () => gone(started, 'its thread ended'));
    return started;
  };

  return {
    kind: 'onnx',
    get id() {
      return id;
    },
    batch: BATCH,
    async embed(texts, { timeoutMs, signal, as }) {
      signal?.throwIfAborted();
      worker ??= start();
      const to = worker;
      const call = calls++;
      const limit = timeLimit(timeoutMs, signal);
      try {
        return await new Promise<Float32Array[]>((resolve, reject) => {
          waiting.set(call, { resolve, reject });
          limit.addEventListener('abort', () => reject(failed('it does not answer in time')), { once: true });
          to.postMessage({ call, texts, as } satisfies OnnxRequest);
        });
      } finally {
        if (waiting.delete(call)) to.postMessage({ cancel: call } satisfies OnnxRequest);
      }
    },
    async close() {
      const last = worker;
      if (last === undefined) return;
      gone(last, 'the hub ends');
      await last.terminate();
    },
  };
}

function installedRuntime(): string {
  const require = createRequire(import.meta.url);
  for (const name of RUNTIMES) {
    for (const modules of require.resolve.paths(name) ?? []) {
      if (existsSync(join(modules, name, 'package.json'))) return join(modules, name);
    }
  }
  throw failed(`neither ${RUNTIMES.join(' nor ')} is installed beside ${dirname(import.meta.url)}`);
}
