"""Who answers: the method, then one of its views."""
