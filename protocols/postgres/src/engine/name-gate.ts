import { AnalysisError, type Analysis } from '../analyse/index.js'
import { txFailed, type Conversation } from './conversation.js'
import { fromAnalysisError, type Refused } from './denial-text.js'

/** Sees to it that names are known before a statement is analysed, and asks the target when they may have changed. */
export class NameGate {
  readonly #c: Conversation

  constructor(conversation: Conversation) {
    this.#c = conversation
  }

  /** A promise while the target must be asked or answered first, before names can be resolved. */
  ready(): Promise<void> | undefined {
    const c = this.#c
    if (c.expected.size === 0) c.names.checkAge()
    else if (c.namesInMotion()) return c.settle().then(() => this.ready())
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
  analyse(text: string): Analysis | Refused | Promise<Analysis | Refused> {
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
