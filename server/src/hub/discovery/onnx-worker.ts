import { parentPort, workerData } from 'node:worker_threads';
import { type OnnxModel, openOnnxModel } from './onnx-model.ts';

/** What the hub asks its embedder's thread. */
export type OnnxRequest = { call: number; texts: readonly string[]; as: 'question' | 'document' } | { cancel: number };

/** What the thread answers. */
export type OnnxAnswer = { call: number; id: string; vectors: Float32Array[] } | { call: number; error: string };

/** What was sent meanwhile is only heard between two turns, and the runtime takes none of its own. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

type Call = Extract<OnnxRequest, { call: number }>;

/** The thread of the embedder: one text at a time, and before the next document any question that came meanwhile. */
function serve(port: NonNullable<typeof parentPort>, { folder, runtime }: { folder: string; runtime: string }): void {
  const questions: Call[] = [];
  const documents: Call[] = [];
  /** Whose documents are being read, and whether nobody waits for them any more. */
  let current: { call: number; dropped: boolean } | undefined;
  let running = false;
  let model: Promise<OnnxModel> | undefined;

  /** What could not be opened is tried again with the next call: somebody may have put it in order. */
  const opened = (): Promise<OnnxModel> => {
    model ??= openOnnxModel(folder, runtime).catch((thrown: unknown) => {
      model = undefined;
      throw thrown;
    });
    return model;
  };
  const letIn = async (): Promise<void> => {
    await turn();
    await answerAll(questions);
  };
  const answer = async ({ call, texts, as }: Call): Promise<OnnxAnswer | undefined> => {
    const own = { call, dropped: false };
    if (as === 'document') current = own;
    try {
      const { id, embed } = await opened();
      const vectors: Float32Array[] = [];
      for (const text of texts) {
        if (as === 'document') await letIn();
        if (own.dropped) return undefined;
        vectors.push(await embed(text, as));
      }
      return { call, id, vectors };
    } catch (thrown) {
      return { call, error: thrown instanceof Error ? thrown.message : String(thrown) };
    }
  };
  const answerAll = async (calls: Call[]): Promise<void> => {
    for (let call = calls.shift(); call !== undefined; call = calls.shift()) {
      const said = await answer(call);
      if (said !== undefined) port.postMessage(said);
      await turn();
    }
  };
  const work = async (): Promise<void> => {
    if (running) return;
    running = true;
    while (questions.length + documents.length > 0) {
      await answerAll(questions);
      await answerAll(documents.splice(0, 1));
    }
    running = false;
  };
  const drop = (cancelled: number): void => {
    for (const list of [questions, documents]) {
      const at = list.findIndex(({ call }) => call === cancelled);
      if (at >= 0) list.splice(at, 1);
    }
    if (current?.call === cancelled) current.dropped = true;
  };
  port.on('message', (request: OnnxRequest) => {
    if ('cancel' in request) return drop(request.cancel);
    (request.as === 'question' ? questions : documents).push(request);
    void work();
  });
}

if (parentPort !== null) serve(parentPort, workerData as { folder: string; runtime: string });
