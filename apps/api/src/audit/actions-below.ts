import { protocols } from '../protocols.js'

/** Every concrete action that a name covers in any protocol's tree, so that the array index can serve the search. */
export function actionsBelow(name: string): string[] {
  const found = new Set<string>([name])
  const visit = (covering: string): void => {
    for (const { actions } of protocols) {
      for (const action of Object.keys(actions.actions)) {
        if (action === covering || action.startsWith(covering + '.')) found.add(action)
      }
      for (const member of actions.aliases[covering] ?? []) {
        if (!found.has(member)) {
          found.add(member)
          visit(member)
        }
      }
    }
  }
  visit(name)
  return [...found]
}
