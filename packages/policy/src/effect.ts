/** Plain JSON, as effects, events and grants carry it. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue }
export type JsonObject = { readonly [key: string]: JsonValue }

/**
 * One thing a command does to one object. Policy, approval, audit and search are written over effects alone
 * and know no protocol.
 */
export interface Effect {
  /** Dotted action name from the protocol's action tree: `sql.select`, `sql.ddl.drop`. */
  readonly action: string
  /** The object's canonical form: `public.orders`, `pg_catalog.pg_authid`, `function public.f`. Empty when the action has no object. */
  readonly resource: string
  /**
   * True when the effect follows from another one of the same command (a view's base table, a trigger's function,
   * a partition of the table named). Deny and hold rules apply to it; it needs no allow rule of its own.
   */
  readonly implied?: true
  /**
   * True for what every driver needs and what reveals nothing (a harmless built-in function, a harmless catalog,
   * BEGIN, SHOW). Covered without a rule once the identity has a grant; a deny or hold rule still applies.
   */
  readonly harmless?: true
  /** The protocol's own facts: columns read and written, missing WHERE, function arguments. */
  readonly details?: JsonObject
}

/**
 * The actions of one protocol. Names are dotted; a name covers itself and everything below it, and an alias covers its
 * members wherever they stand (`sql.write` covers `sql.insert`, `sql.update`, …).
 */
export interface ActionTree {
  /** Every action with one line of documentation, e.g. `sql.ddl.drop`. */
  readonly actions: { readonly [name: string]: string }
  /** Groups across the tree: name → members (actions or other aliases). */
  readonly aliases: { readonly [name: string]: readonly string[] }
}
