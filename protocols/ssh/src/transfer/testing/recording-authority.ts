import type { FileAuthority, FileEffect, FileOperation, FileResult, FileVerdict } from '../file-authority.js'

export interface Recorded {
  readonly operation: FileOperation
  readonly allowed: boolean
  result?: FileResult
}

/** Decides by a function over single effects; keeps what it was asked and what came of it. */
export class RecordingAuthority implements FileAuthority {
  readonly asked: Recorded[] = []
  /** Put in to hold every decision. */
  hold: Promise<void> | undefined

  constructor(readonly allow: (effect: FileEffect) => boolean) {}

  decide(operation: FileOperation): FileVerdict | Promise<FileVerdict> {
    const allowed = operation.effects.every((effect) => this.allow(effect))
    const entry: Recorded = { operation, allowed }
    this.asked.push(entry)
    const verdict: FileVerdict = allowed
      ? {
          allowed,
          finish: (result) => {
            if (entry.result !== undefined) throw new Error('finished twice')
            entry.result = result
          },
        }
      : { allowed, message: `denied by policy: ${operation.text}` }
    return this.hold === undefined ? verdict : this.hold.then(() => verdict)
  }

  /** `action path` of every effect that was asked. */
  get effects(): string[] {
    return this.asked.flatMap(({ operation }) => operation.effects.map((effect) => `${effect.action} ${effect.path}`))
  }

  of(text: string): Recorded {
    const found = this.asked.find(({ operation }) => operation.text === text)
    if (found === undefined) throw new Error(`not asked: ${text}; but ${this.asked.map(({ operation }) => operation.text).join(' | ')}`)
    return found
  }
}
