import type { JsonObject } from './json.js'

/** An error that the API answers with as a Status object (Kubernetes API conventions). */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  constructor(
    readonly code: number,
    readonly reason: string,
    message: string,
  ) {
    super(message)
  }

  get status(): JsonObject {
    return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message: this.message, reason: this.reason, code: this.code }
  }
}

export const notFound = (what: string): ApiError => new ApiError(404, 'NotFound', `${what} not found`)
export const badRequest = (message: string): ApiError => new ApiError(400, 'BadRequest', message)
