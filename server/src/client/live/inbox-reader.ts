/** One reading at a time; what is said meanwhile is read after it. */
export class InboxReader {
  private due = false;
  private reading = false;
  private readonly readOnce: () => Promise<boolean>;

  /** @param readOnce answers false where there is nobody to read for any more */
  constructor(readOnce: () => Promise<boolean>) {
    this.readOnce = readOnce;
  }

  /** @throws what `readOnce` throws */
  async read(): Promise<void> {
    this.due = true;
    if (this.reading) return;
    this.reading = true;
    try {
      while (this.due) {
        this.due = false;
        if (!(await this.readOnce())) return;
      }
    } finally {
      this.reading = false;
    }
  }
}
