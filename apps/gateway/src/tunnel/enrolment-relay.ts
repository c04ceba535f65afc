import { status, type ServerUnaryCall, type sendUnaryData, type ServiceError } from '@grpc/grpc-js'
import type { EnrolmentHandlers, EnrolmentStub, EnrolReply } from '@sallyport/proto'

const DEADLINE_MILLISECONDS = 15_000
const MAX_CONCURRENT = 64

/**
 * Passes enrolment on to the control plane unopened, so that an agent has to reach a gateway only. Neither request nor
 * reply can be altered: the one proves a secret over the agent's own key, the other must have the token's fingerprint.
 */
export function enrolmentRelay(upstream: () => EnrolmentStub): EnrolmentHandlers {
  let running = 0
  const relay = <Request>(
    call: ServerUnaryCall<Request, EnrolReply>,
    callback: sendUnaryData<EnrolReply>,
    ask: (deadline: Date, done: (error: ServiceError | null, reply?: EnrolReply) => void) => void,
  ): void => {
    if (running >= MAX_CONCURRENT) return callback({ code: status.RESOURCE_EXHAUSTED, details: 'too many enrolments at once' })
    running += 1
    ask(new Date(Date.now() + DEADLINE_MILLISECONDS), (error, reply) => {
      running -= 1
      if (call.cancelled) return
      if (error) callback({ code: error.code, details: error.details })
      else callback(null, reply)
    })
  }
  return {
    Enrol: (call, callback) => relay(call, callback, (deadline, done) => upstream().enrol(call.request, { deadline }, done)),
    Renew: (call, callback) => relay(call, callback, (deadline, done) => upstream().renew(call.request, { deadline }, done)),
  }
}
