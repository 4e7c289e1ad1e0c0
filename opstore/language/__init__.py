"""Everything said to a person, in their language: texts, numbers, money, times; English texts are the keys."""
