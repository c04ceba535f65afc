import type { Effect, JsonObject, JsonValue } from '@sallyport/policy'

export interface EffectOptions {
  readonly implied?: boolean
  readonly harmless?: boolean
  readonly details?: JsonObject
}

interface Draft {
  readonly action: string
  readonly resource: string
  implied: boolean
  harmless: boolean
  readonly details: Map<string, JsonValue | Set<string>>
}

/**
 * Collects the effects of a statement; the same action on the same resource is one effect. Merging only ever makes an
 * effect need more: explicit beats implied, harmful beats harmless, sets of names grow.
 */
export class EffectSet {
  readonly #drafts = new Map<string, Draft>()

  add(action: string, resource: string, options: EffectOptions = {}): void {
    const key = `${action}\0${resource}`
    const implied = options.implied === true
    const harmless = options.harmless === true
    let draft = this.#drafts.get(key)
    if (!draft) {
      draft = { action, resource, implied, harmless, details: new Map() }
      this.#drafts.set(key, draft)
    } else {
      draft.implied &&= implied
      draft.harmless &&= harmless
    }
    if (!options.details) return
    for (const name in options.details) {
      const value = options.details[name]
      if (value !== undefined) merge(draft.details, name, value)
    }
  }

  /** Adds effects made earlier (a prepared statement's, a view's) with some facts changed. */
  addAll(effects: readonly Effect[], change: { readonly implied?: true; readonly details?: JsonObject } = {}): void {
    for (const effect of effects) {
      this.add(effect.action, effect.resource, {
        implied: change.implied === true || effect.implied === true,
        harmless: effect.harmless === true,
        details: { ...effect.details, ...change.details },
      })
    }
  }

  has(action: string): boolean {
    for (const draft of this.#drafts.values()) if (draft.action === action) return true
    return false
  }

  /** Resources of an action so far, harmless ones left out. */
  resources(action: string): string[] {
    const out: string[] = []
    for (const draft of this.#drafts.values()) if (draft.action === action && !draft.harmless && !draft.implied) out.push(draft.resource)
    return out
  }

  /** Effects in the order in which they were met. `columns` gives what was read of a resource. */
  finish(
    columns: (resource: string) => { readonly read: readonly string[]; readonly predicates: readonly string[] } | undefined,
  ): Effect[] {
    const out: Effect[] = []
    for (const draft of this.#drafts.values()) {
      if (readsColumns.has(draft.action)) {
        const used = columns(draft.resource)
        if (used) {
          if (used.read.length > 0) merge(draft.details, 'columns_read', used.read)
          if (used.predicates.length > 0) merge(draft.details, 'predicates', used.predicates)
        }
      }
      const effect: { action: string; resource: string; implied?: true; harmless?: true; details?: JsonObject } = {
        action: draft.action,
        resource: draft.resource,
      }
      if (draft.implied) effect.implied = true
      if (draft.harmless) effect.harmless = true
      if (draft.details.size > 0) {
        const details: { [name: string]: JsonValue } = {}
        for (const [name, value] of draft.details) details[name] = value instanceof Set ? [...value].sort() : value
        effect.details = details
      }
      out.push(effect)
    }
    return out
  }
}

/** Actions whose effect says which columns of the resource were read. */
const readsColumns = new Set(['sql.select', 'sql.update', 'sql.delete', 'sql.merge', 'sql.copy_out'])

function merge(details: Draft['details'], name: string, value: JsonValue): void {
  if (Array.isArray(value) && value.every((item): item is string => typeof item === 'string')) {
    const known = details.get(name)
    if (known instanceof Set) for (const item of value) known.add(item)
    else details.set(name, new Set(value))
    return
  }
  // A true fact stays true: missing_where of one branch is not undone by another.
  if (details.get(name) === true) return
  details.set(name, value)
}
