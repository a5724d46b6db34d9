/** What is typed where a reference belongs; it is in no output. */
export const typed = 'a-value-nobody-may-see';

/** The prefix that a scope of Databricks is told to have. */
export const scopes = new Map([['jobs', 'secret://domain/managed/jobs-']]);

/** Placeholders of all forms, in fields that take references and in some that don't. */
export const manifest = `# Every night.
kind: spark-job
domain: finance
name: nightly   # \${secrets.comment}
command: ['run', '\${secrets.in-command}']
environment:
  - {name: A, value: '\${secrets.a}'}
  - name: B
    value: \${secrets.b} # why
  - name: API_TOKEN
    value: ${typed}
  - name: URL
    value: "x\${secrets.a}y"
sparkConfig:
  - value: "{{secrets/jobs/db}}"
    name: spark.c
  - {name: spark.d, value: '{{secrets/other/db}}'}
files:
  - name: job.py
    content: |
      import os
      x = dbutils.secrets.get("jobs", "db")
---
kind: email
password: {value: '\${secrets.smtp}'}
senderName: \${secrets.team}
host: \${secrets.host}
`;
