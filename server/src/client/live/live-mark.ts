import { clearLive, writeLive } from '../../machine/live-state.ts';
import type { Machine } from '../../machine/machine.ts';
import type { HookOutput } from '../sync/notice.ts';

/** What hooks go by: the state file says that this process keeps the machine in step, or it is not there and they ask the hub. */
export class LiveMark {
  private last: Promise<void> = Promise.resolve();
  private readonly machine: Machine;
  private readonly inStep: () => Promise<boolean>;

  /** @param inStep asked each time the mark is set */
  constructor(machine: Machine, inStep: () => Promise<boolean>) {
    this.machine = machine;
    this.inStep = inStep;
  }

  /** Sets the mark as things stand, one after the other. @param output what a hook shall print where the mark stands */
  set(output: HookOutput | undefined): Promise<void> {
    this.last = this.last.then(() => this.setNow(output)).catch(() => undefined);
    return this.last;
  }

  private async setNow(output: HookOutput | undefined): Promise<void> {
    if (await this.inStep()) await writeLive(this.machine, { output });
    else await clearLive(this.machine);
  }
}
