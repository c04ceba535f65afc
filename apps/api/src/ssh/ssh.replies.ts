import { z } from 'zod'
import { issuedFields } from '../credentials/credentials.replies.js'
import { instantField } from '../openapi/reply.js'

export const certificateReply = z
  .object({ ...issuedFields, certificate: z.string().meta({ description: 'A line of an OpenSSH certificate file.' }), serial: z.string(), expires_at: instantField })
  .meta({ id: 'SshCertificate' })
