import createClient, { type Client } from 'openapi-fetch'
import { problemOf } from './problem.js'
import type { components, paths } from './schema.js'
import { idempotencyHeader, transport, type TransportOptions } from './transport.js'

export interface ApiOptions extends TransportOptions {
  /** The control plane's address; empty in a page that it serves itself. */
  readonly baseUrl: string
}

/** Every route of the API, with its parameters and answers typed: `await ok(api.GET('/v1/sessions/{id}', { params: { path: { id } } }))`. */
export type Api = Client<paths>

/** The shapes of the API's answers, by name: `Schemas['Session']`. */
export type Schemas = components['schemas']

export function createApi(options: ApiOptions): Api {
  // Tokens must not follow where a stranger's answer leads.
  return createClient<paths>({ baseUrl: options.baseUrl, redirect: 'error', fetch: transport(options) })
}

type Outcome<T> = { readonly data: T; readonly error?: never; readonly response: Response } | { readonly data?: never; readonly error: unknown; readonly response: Response }

/**
 * The answer's body.
 * @throws {ApiProblem} when the control plane refused
 * @throws {ApiUnreachable} when it could not be reached, or didn't answer in time
 */
export async function ok<T>(call: Promise<Outcome<T>>): Promise<T> {
  const { data, error, response } = await call
  if (!response.ok || data === undefined) {
    if (response.status !== 204) throw problemOf(response.status, error)
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a reply without a body has no data, and its type says so
  return data as T // decoder: undefined for replies without a body, whose T is undefined
}

/** Headers of a POST that creates: repeated with the same key, it creates nothing twice. */
export const once = (key: string = crypto.randomUUID()): { readonly [idempotencyHeader]: string } => ({ [idempotencyHeader]: key })

/** Without the members that are undefined: parameters that were not given are not sent. */
export function given<T extends object>(values: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Object.fromEntries doesn't know names
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as { [Key in keyof T]?: Exclude<T[Key], undefined> } // decoder: the same names, fewer of them
}
