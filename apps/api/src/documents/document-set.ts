import { documentContextOf, keyOf } from '@sallyport/kit'
import { checkReferences, groupsOfUser, type Document, type DocumentError } from '@sallyport/policy'
import { protocols } from '../protocols.js'

export interface SetWarning {
  readonly path: string
  readonly line: number
  readonly message: string
}

/** What documents are checked against: the protocols of this control plane. */
export const documentContext = documentContextOf(protocols)

/** The set as it would stand after an apply. */
export function mergeSets(current: readonly Document[], applied: readonly Document[], prune: boolean): Document[] {
  const next = new Map(prune ? [] : current.map((document) => [keyOf(document), document]))
  for (const document of applied) next.set(keyOf(document), document)
  return [...next.values()].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
}

/** Checks a whole set: references, and that somebody can still administer it. */
export function checkSet(current: readonly Document[], next: readonly Document[]): DocumentError[] {
  const errors = checkReferences(next)
  // Nobody could take this apply back.
  if (current.some(isActiveAdmin) && !next.some(isActiveAdmin)) {
    const place = next.find((document) => document.kind === 'User') ?? { path: '(the set)', line: 1 }
    const message = 'this would leave no enabled User with the role admin; nobody could administer Sallyport any more'
    errors.push({ path: place.path, line: place.line, column: 1, message })
  }
  return errors
}

const isActiveAdmin = (document: Document): boolean =>
  document.kind === 'User' && document.spec.roles.includes('admin') && !document.spec.disabled

/** What isn't wrong, but will surprise: a hold that nobody, or too few, can release; a record that may have gaps. */
export function warnings(documents: readonly Document[]): SetWarning[] {
  const users = documents.filter((document) => document.kind === 'User' && !document.spec.disabled)
  const groupsOf = new Map(users.map((user) => [user.name, groupsOfUser(user.name, documents)]))
  const found: SetWarning[] = []
  for (const policy of documents) {
    if (policy.kind !== 'Policy') continue
    if (policy.spec.session.audit === 'best_effort') {
      const message = `Policy "${policy.name}": with audit: best_effort, allowed commands go on when the agent can record nothing (its spool is full, or its disk fails); what they were is lost then, and a gap event says how many, of which session, and when`
      found.push({ path: policy.path, line: policy.line, message })
    }
    policy.spec.rules.forEach((rule, index) => {
      if (!rule.approvers) return
      const { groups, quorum } = rule.approvers
      const people = [...groupsOf].filter(([, own]) => own.some((group) => groups.includes(group))).length
      if (people >= quorum) return
      const message = `Policy "${policy.name}": rule ${index} asks for ${quorum} of ${groups.join(', ')}, where ${people} enabled users are: nobody could release the hold`
      found.push({ path: policy.path, line: policy.line, message })
    })
  }
  return found
}
