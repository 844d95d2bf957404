/** What of a report of vitest's JSON reporter is read. */
interface Report {
  testResults: {
    name: string;
    status: string;
    message?: string;
    assertionResults: { status: string; fullName: string; failureMessages: string[] }[];
  }[];
}

export function failuresIn(report: Report, root: string): string[];
