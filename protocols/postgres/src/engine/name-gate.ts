import { AnalysisError, type Analysis } from '../analyse/index.js'
import { txFailed, type Conversation } from './conversation.js'
import { fromAnalysisError, type Refused } from './denial-text.js'

/** A step of a statement's way: done at once, or when the promise is. */
export type Step = Promise<void> | undefined

/** Sees to it that names are known before a statement is analysed, and asks the target when they may have changed. */
export class NameGate {
  readonly #c: Conversation

  constructor(conversation: Conversation) {
    this.#c = conversation
  }

  /**
   * Goes on once names can be resolved, at once where they can be now. Not at all when by then the session has ended or
   * everything up to Sync is dropped.
   * @param before what has to be waited for first
   */
  whenReady(next: () => Step, before?: Promise<void>): Step {
    const ready = before ? before.then(() => this.#ready()) : this.#ready()
    return ready ? ready.then(() => this.#goOn(next)) : this.#goOn(next)
  }

  /** Analyses and goes on with what came of it, on the same terms as {@link whenReady}. */
  whenAnalysed(text: string, next: (analysis: Analysis | Refused) => Step): Step {
    const analysis = this.#analyse(text)
    return analysis instanceof Promise ? analysis.then((value) => this.#goOn(() => next(value))) : this.#goOn(() => next(analysis))
  }

  #goOn(next: () => Step): Step {
    return this.#c.ended || this.#c.skipping ? undefined : next()
  }

  /** A promise while the target must be asked or answered first, before names can be resolved. */
  #ready(): Step {
    const c = this.#c
    if (c.expected.size === 0) c.names.checkAge()
    else if (c.namesInMotion()) return c.settle().then(() => this.#ready())
    if (!c.names.stale || c.status === txFailed || c.skipping || c.ended) return undefined
    return this.#refreshNames()
  }

  async #refreshNames(): Promise<void> {
    const c = this.#c
    await c.settle()
    if (c.ended || c.skipping || c.status === txFailed) return
    await c.names.refresh((query) => this.#ask(query))
  }

  #ask(query: string): Promise<string[]> {
    const c = this.#c
    return new Promise((resolve, reject) => {
      const hidden = { rows: [], resolve, reject }
      c.link.hiddenQuery(query)
      for (const step of ['parse', 'bind', 'execute', 'close', 'close'] as const) c.expected.push({ kind: 'hidden', step, query: hidden })
      if (c.openBatch) c.link.flush()
      else {
        c.link.sync()
        c.expected.push({ kind: 'hidden', step: 'sync', query: hidden })
      }
    })
  }

  /** Analyses; when a name isn't known, asks the target for its catalog once more. */
  #analyse(text: string): Analysis | Refused | Promise<Analysis | Refused> {
    const c = this.#c
    try {
      return c.names.analyse(text)
    } catch (error) {
      if (!(error instanceof AnalysisError)) return internalRefusal
      if (error.code === 'unresolved' && c.status !== txFailed && c.names.retryUnresolved()) {
        return this.#refreshNames().then(() => {
          try {
            return c.names.analyse(text)
          } catch (again) {
            return again instanceof AnalysisError ? fromAnalysisError(again) : internalRefusal
          }
        })
      }
      return fromAnalysisError(error)
    }
  }
}

const internalRefusal: Refused = {
  rule: 'analysis-failed',
  sqlstate: 'XX000',
  message: 'Sallyport: the statement could not be analysed, so it is denied',
  hint: 'Nothing was executed. Please report the statement to your platform team.',
}
