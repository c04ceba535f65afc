import { Alert, Center, Loader, Stack, Text } from '@mantine/core'
import type { ReactNode } from 'react'
import { wordsOf } from '../api.js'

/** What went wrong, and what to do. */
export function Failure({ error }: { readonly error: unknown }): ReactNode {
  const { what, next } = wordsOf(error)
  return (
    <Alert color="red" variant="light" title={what} role="alert">
      {next}
    </Alert>
  )
}

export const Loading = (): ReactNode => (
  <Center mih="30vh">
    <Loader aria-label="Loading" />
  </Center>
)

/** Nothing is here, and how something comes here. */
export function Empty({ title, children }: { readonly title: string; readonly children: ReactNode }): ReactNode {
  return (
    <Center mih="40vh" p="md">
      <Stack gap="xs" align="center" maw="34rem">
        <Text fw={600} size="lg">{title}</Text>
        <Text c="dimmed" ta="center" component="div">{children}</Text>
      </Stack>
    </Center>
  )
}
