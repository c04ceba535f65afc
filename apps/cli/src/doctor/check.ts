/** One hop, as the doctor found it. `skipped` is what could not be looked at: nothing is called well that nobody has seen. */
export interface Check {
  readonly name: string
  readonly status: 'ok' | 'warn' | 'fail' | 'skipped'
  readonly detail: string
  /** What to mend. */
  readonly fix?: string
}

export const fine = (name: string, detail: string): Check => ({ name, status: 'ok', detail })
export const warn = (name: string, detail: string, fix: string): Check => ({ name, status: 'warn', detail, fix })
export const fail = (name: string, detail: string, fix: string): Check => ({ name, status: 'fail', detail, fix })
export const skipped = (name: string, detail: string): Check => ({ name, status: 'skipped', detail })
