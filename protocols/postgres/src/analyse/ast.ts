import type { Node } from 'libpg-query'

/**
 * The parse tree as libpg-query gives it: every node is an object with one key, the node's name. Fields of one fixed node
 * type are not wrapped. The two casts of this file are the decoder's: the tree comes from PostgreSQL's own grammar.
 */
export type { Node }
type KeysOf<N> = N extends unknown ? keyof N : never
type Member<N, K extends PropertyKey> = N extends { [P in K]: infer V } ? V : never
export type NodeKind = KeysOf<Node>
export type Body<K extends NodeKind> = Member<Node, K>

/** The node's name; empty for the empty object that stands for NULL in lists. */
export function kindOf(node: Node): NodeKind | '' {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the decoder: keys of a node are names of nodes
  for (const key in node) return key as NodeKind
  return ''
}

/** The node's body if it is of this kind. */
export function as<K extends NodeKind>(node: Node | undefined, kind: K): Body<K> | undefined {
  if (node === undefined) return undefined
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the decoder: the key says which body it is
  return (node as unknown as { [P in K]?: Body<K> })[kind]
}

/** `String` nodes of a list, in order; other nodes are left out. */
export function strings(nodes: readonly Node[] | undefined): string[] {
  const out: string[] = []
  for (const node of nodes ?? []) {
    const text = as(node, 'String')
    if (text) out.push(text.sval ?? '')
  }
  return out
}

/** A qualified name out of a list of `String` nodes: catalog, schema, name. */
export interface QualifiedName {
  readonly catalog?: string
  readonly schema?: string
  readonly name: string
}

export function qualified(nodes: readonly Node[] | undefined): QualifiedName {
  return qualifiedOf(strings(nodes))
}

export function qualifiedOf(parts: readonly string[]): QualifiedName {
  const name = parts.at(-1) ?? ''
  const schema = parts.at(-2)
  const catalog = parts.at(-3)
  return { name, ...(schema === undefined ? {} : { schema }), ...(catalog === undefined ? {} : { catalog }) }
}

/** The items of a `List` node. */
export function items(node: Node | undefined): readonly Node[] {
  return as(node, 'List')?.items ?? []
}

/** A constant's value as text, as SET and set_config take it; undefined for anything but a constant. */
export function constantText(node: Node | undefined): string | null | undefined {
  const cast = as(node, 'TypeCast')
  if (cast) return constantText(cast.arg)
  const constant = as(node, 'A_Const')
  if (!constant) return undefined
  if (constant.isnull) return null
  const body: {
    ival?: { ival?: number }
    fval?: { fval?: string }
    boolval?: { boolval?: boolean }
    sval?: { sval?: string }
    bsval?: { bsval?: string }
  } = constant as object
  if (body.sval) return body.sval.sval ?? ''
  if (body.ival) return String(body.ival.ival ?? 0)
  if (body.fval) return body.fval.fval ?? ''
  if (body.boolval) return body.boolval.boolval ? 'true' : 'false'
  if (body.bsval) return body.bsval.bsval ?? ''
  return undefined
}

/** An option (`DefElem`) of a statement's list by name, lower case. */
export function option(nodes: readonly Node[] | undefined, name: string): Body<'DefElem'> | undefined {
  for (const node of nodes ?? []) {
    const element = as(node, 'DefElem')
    if (element?.defname?.toLowerCase() === name) return element
  }
  return undefined
}

/** The text of an option's argument: a constant, a bare word, a type name. */
export function optionText(element: Body<'DefElem'> | undefined): string | undefined {
  const arg = element?.arg
  if (arg === undefined) return undefined
  const text = as(arg, 'String')
  if (text) return text.sval ?? ''
  const integer = as(arg, 'Integer')
  if (integer) return String(integer.ival ?? 0)
  const float = as(arg, 'Float')
  if (float) return float.fval ?? ''
  const boolean = as(arg, 'Boolean')
  if (boolean) return boolean.boolval ? 'true' : 'false'
  const typeName = as(arg, 'TypeName')
  if (typeName) return strings(typeName.names).at(-1)
  return constantText(arg) ?? undefined
}

/** Whether a boolean option is on, by PostgreSQL's defGetBoolean: no value means on. */
export function optionOn(element: Body<'DefElem'> | undefined): boolean {
  if (!element) return false
  const text = optionText(element)?.toLowerCase()
  return text === undefined || text === 'true' || text === 'on' || text === '1'
}
