import type { ActionTree } from './effect.js'
import { nearest } from './suggest.js'

/** How a rule's action name reaches an action: by its very name, through its subtree or an alias, or not at all. */
export type ActionReach = 'named' | 'covered' | undefined

/** An {@link ActionTree} prepared for look-ups. Unknown effects are ordinary actions: they may be asked about too. */
export class ActionIndex {
  readonly #actions: ReadonlySet<string>
  /** Every name that a rule may use: actions, their ancestors, aliases, `*`. */
  readonly names: ReadonlySet<string>
  /** Alias → actions and branches it stands for, aliases inside it already replaced. */
  readonly #members = new Map<string, ReadonlySet<string>>()
  readonly #roots = new Set<string>()

  constructor(tree: ActionTree) {
    this.#actions = new Set(Object.keys(tree.actions))
    const names = new Set<string>(['*'])
    for (const action of this.#actions) {
      const segments = action.split('.')
      for (let end = 1; end <= segments.length; end++) names.add(segments.slice(0, end).join('.'))
    }
    for (const alias of Object.keys(tree.aliases)) {
      names.add(alias)
      this.#members.set(alias, expand(alias, tree))
    }
    for (const name of names) this.#roots.add(root(name))
    this.names = names
  }

  has(name: string): boolean {
    return this.names.has(name)
  }

  /** True when the name belongs to this protocol's family (`sql.…`), known or not. */
  hasRoot(name: string): boolean {
    return this.#roots.has(root(name))
  }

  reach(ruleName: string, action: string): ActionReach {
    if (ruleName === action) return 'named'
    if (ruleName === '*' || below(ruleName, action)) return 'covered'
    const members = this.#members.get(ruleName)
    if (!members) return undefined
    for (const member of members) if (member === action || member === '*' || below(member, action)) return 'covered'
    return undefined
  }

  nearest(name: string): string | undefined {
    return nearest(name, this.names)
  }
}

function root(name: string): string {
  const dot = name.indexOf('.')
  return dot < 0 ? name : name.slice(0, dot)
}

/** `sql.ddl.drop` lies below `sql.ddl`; `sql.ddlx` doesn't. */
function below(ancestor: string, action: string): boolean {
  return action.length > ancestor.length && action.charCodeAt(ancestor.length) === 46 && action.startsWith(ancestor)
}

/** Replaces aliases by their members. A cycle adds nothing and ends. */
function expand(alias: string, tree: ActionTree): ReadonlySet<string> {
  const found = new Set<string>()
  const seen = new Set<string>()
  const queue = [alias]
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (seen.has(name)) continue
    seen.add(name)
    const members = Object.hasOwn(tree.aliases, name) ? tree.aliases[name] : undefined
    if (members) queue.push(...members)
    // A name that is both an alias and an action keeps its own meaning besides its members.
    if (!members || Object.hasOwn(tree.actions, name)) found.add(name)
  }
  return found
}
