import { z } from 'zod'

/** What every refusal looks like (RFC 9457). */
export const problemSchema = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.string().meta({ description: 'Stable, upper case: for programs.' }),
    detail: z.string().meta({ description: 'One sentence: for people.' }),
    hint: z.string().optional().meta({ description: 'What to do next.' }),
    errors: z
      .array(z.object({ path: z.string().optional(), line: z.int().optional(), column: z.int().optional(), message: z.string(), suggestion: z.string().optional() }))
      .optional()
      .meta({ description: 'Places in a document, or fields of a request, that are wrong.' }),
    request_id: z.string().meta({ description: "As in the X-Request-Id header, and in the control plane's log." }),
  })
  .meta({ id: 'Problem' })
