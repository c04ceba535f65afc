import type { NextFunction, Request, Response } from 'express'
import { v7 as uuid } from 'uuid'

const ids = new WeakMap<object, string>()

/** The id of a request, as in the X-Request-Id header of its response. A client's own id is never taken over (log injection). */
export function requestId(request: object): string {
  const known = ids.get(request)
  if (known !== undefined) return known
  const made = uuid()
  ids.set(request, made)
  return made
}

/** Gives every response its id. */
export function requestIdMiddleware(request: Request, response: Response, next: NextFunction): void {
  response.setHeader('X-Request-Id', requestId(request))
  next()
}
