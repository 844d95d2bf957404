/** What a column of a table may be for, and the names it usually goes by, the likeliest first. */

export const NAMES = {
  text: [
    'text',
    'sentence',
    'content',
    'review',
    'document',
    'input',
    'body',
    'comment',
    'sentence1',
    'premise',
    'text_a',
    'question1',
    'story',
    'abstract',
    'article',
    'tweet',
    'message',
    'headline',
    'utterance',
    'post',
    'description',
    'title',
  ],
  /** A second text that is read together with the first. */
  pair: ['sentence2', 'hypothesis', 'text_b', 'text2', 'question2', 'text_pair'],
  label: [
    'label',
    'class',
    'category',
    'target',
    'sentiment',
    'topic',
    'labels',
    'fine_label',
    'intent',
    'emotion',
  ],
  /** A number to be predicted. */
  value: ['label', 'score', 'value', 'target', 'rating', 'stars', 'similarity', 'similarity_score', 'y'],
  prompt: ['prompt', 'instruction', 'question', 'query', 'input', 'source', 'human', 'user'],
  /** What the prompt is about, put below it. */
  context: ['context', 'input'],
  answer: ['answer', 'response', 'completion', 'output', 'target', 'assistant', 'chosen', 'answers', 'reply'],
  system: ['system', 'system_prompt'],
  messages: ['messages', 'conversations', 'conversation', 'chat', 'dialog'],
  /** What is said of the tools that a conversation may call. */
  tools: ['tools'],
  /** The answer that was liked less. */
  rejected: ['rejected'],
  tokens: ['tokens', 'words', 'form'],
  tags: ['tags', 'ner_tags', 'labels', 'pos_tags', 'upos', 'label', 'chunk_tags', 'ner', 'xpos'],
  image: ['image', 'img', 'file_name', 'picture', 'image_path', 'path', 'filename', 'image_file', 'file'],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type Role = keyof typeof NAMES;
