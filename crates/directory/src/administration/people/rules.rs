//! What values about a person can be taken.

use preau_http::FieldError;

use crate::administration::Error;

/// Longest name kept.
const NAME: usize = 200;

/// Values about a person as somebody typed them, to be tidied and held against the rules.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    faults: Vec<FieldError>,
}

impl Checked {
    fn fault(&mut self, field: &str, code: &'static str, detail: &str) {
        self.faults.push(FieldError { field: field.to_owned(), code, detail: detail.to_owned() });
    }

    /// A name: something of it can be read, and no line is broken.
    pub(crate) fn name(&mut self, field: &str, text: &str) -> String {
        let tidy = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let readable = tidy.chars().any(char::is_alphabetic) && !tidy.chars().any(char::is_control);
        if !readable || tidy.chars().count() > NAME {
            self.fault(field, "invalid-name", "a name of 1 to 200 characters, with a letter");
        }
        tidy
    }

    /// A title: `M.`, `Mme`, or none.
    pub(crate) fn title(&mut self, text: &str) -> String {
        let tidy = text.trim();
        if !["", "M.", "Mme"].contains(&tidy) {
            self.fault("title", "invalid-title", "M., Mme or nothing");
        }
        tidy.to_owned()
    }

    /// An e-mail address, as far as can be told without writing to it.
    pub(crate) fn email(&mut self, text: &str) -> String {
        let tidy = text.trim();
        let parts: Vec<&str> = tidy.split('@').collect();
        let fine = matches!(parts.as_slice(), [local, domain]
            if !local.is_empty() && domain.contains('.') && !domain.starts_with('.') && !domain.ends_with('.'));
        let plain =
            !tidy.chars().any(|char| char.is_whitespace() || char.is_control() || "<>,;\"".contains(char));
        if !fine || !plain || tidy.len() > 254 {
            self.fault("email", "invalid-email", "an address like nom@exemple.fr");
        }
        tidy.to_owned()
    }

    /// A telephone number: digits, with the country's sign or not.
    pub(crate) fn mobile(&mut self, text: &str) -> String {
        let tidy: String =
            text.chars().filter(|char| !char.is_whitespace() && !".-()".contains(*char)).collect();
        let digits = tidy.strip_prefix('+').unwrap_or(&tidy);
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) || !(8..=15).contains(&digits.len()) {
            self.fault("mobile", "invalid-mobile", "a number of 8 to 15 digits");
        }
        tidy
    }

    /// A national pupil id: nine digits and two letters, or ten and one.
    pub(crate) fn ine(&mut self, text: &str) -> String {
        let tidy = text.trim().to_ascii_uppercase();
        if tidy.len() != 11 || !tidy.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            self.fault("ine", "invalid-ine", "eleven letters and digits");
        }
        tidy
    }

    /// A function of the national directory.
    pub(crate) fn function(&mut self, text: &str) -> String {
        let tidy = text.trim().to_ascii_uppercase();
        if tidy.len() > 10 || !tidy.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            self.fault("function", "invalid-function", "a code such as DIR, EDU, DOC");
        }
        tidy
    }

    /// Everything could be taken.
    pub(crate) fn end(self) -> Result<(), Error> {
        if self.faults.is_empty() { Ok(()) } else { Err(Error::Fields(self.faults)) }
    }

    /// What could not.
    pub(crate) fn faults(self) -> Vec<FieldError> {
        self.faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_is_tidied_or_refused_by_field() {
        let mut checked = Checked::default();
        assert_eq!(checked.name("last_name", "  Le   Goff "), "Le Goff");
        assert_eq!(checked.mobile("06 12.34-56 78"), "0612345678");
        assert_eq!(checked.mobile("+33 6 12 34 56 78"), "+33612345678");
        assert_eq!(checked.email(" a.b@c.fr "), "a.b@c.fr");
        assert_eq!(checked.ine("123456789ab"), "123456789AB");
        assert!(checked.end().is_ok());
        let mut checked = Checked::default();
        for text in ["", " ", "12", "\u{0}a", &"x".repeat(201)] {
            checked.name("last_name", text);
        }
        for text in ["", "a", "a@b", "a@b@c.fr", "a b@c.fr", "a@.fr", "<a@b.fr>"] {
            checked.email(text);
        }
        for text in ["", "06", "0612345678901234", "06x2345678"] {
            checked.mobile(text);
        }
        checked.title("Dr");
        checked.ine("12");
        assert_eq!(checked.faults().len(), 5 + 7 + 4 + 2);
    }
}
